"""What people run. Every script is thin: it parses, calls and prints."""
