"""What leaves the archive: dissemination packages, exports, and who may have closed records."""
