"""The one door to each engine: expressions are built anywhere and executed here."""
