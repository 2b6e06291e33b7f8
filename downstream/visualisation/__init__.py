"""Pictures of what was found: curves, strips, films, heat over frames."""
