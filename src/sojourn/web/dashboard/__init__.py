"""The dashboard: pages for people who never open a terminal, made on the server; they need no script."""
