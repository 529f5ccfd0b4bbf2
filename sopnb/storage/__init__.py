"""Where the bytes live: the registry, the blobs and the pins of one database."""
