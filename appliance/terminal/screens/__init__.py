"""What opens above the chat; each is imported when it is opened."""
