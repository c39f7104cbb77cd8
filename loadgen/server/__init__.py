"""A server to practise on: answers as its query parameters say, good and bad."""
