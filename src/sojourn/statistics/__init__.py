"""Statistics of what SQL has summed up: experiments, and referrers. Imported only where their tables are made."""
