"""An AIP that is kept: its lease, its versions, its protection, what its metadata say."""
