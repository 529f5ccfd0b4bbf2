"""Trees, layers and commits over the protocols of a backend."""
