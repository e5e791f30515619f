"""What must survive: crash-safe stores, SQLite files, and backups of the whole data folder."""
