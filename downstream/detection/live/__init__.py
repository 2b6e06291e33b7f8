"""Live input: frames of a camera or a stream as they come, snippets and scores over a rolling window, a webhook."""
