"""Pictures of a run. Each module makes one kind, as the bytes of a PNG; the same input gives the same bytes."""
