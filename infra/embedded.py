"""The embedded profile: one process, SQLite and chDB."""
