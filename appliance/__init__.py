"""Luna: a voice assistant that lives in a box and works with the network cable pulled out."""

__version__ = "0.1.0"
