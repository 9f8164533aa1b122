"""What an archivist decides about submissions that wait for one."""
