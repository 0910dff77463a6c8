"""The service: live sessions in, sessions, tables and metrics out, over HTTP and WebSockets."""
