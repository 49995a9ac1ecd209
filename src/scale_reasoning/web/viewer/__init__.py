"""The viewer: stored runs as pages, served on loopback or written as files. Reads runs, never changes one."""
