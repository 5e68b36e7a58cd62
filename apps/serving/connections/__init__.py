"""TCP connections: accepting them, parsing HTTP/1.1 on them in turns, and bounding what each can cost."""
