"""The owner's documents: read, found again, quoted with their place."""
