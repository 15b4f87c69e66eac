"""Whether gene effects from single cells agree with those from population genetics, type by type."""
