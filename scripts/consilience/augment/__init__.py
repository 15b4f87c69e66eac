"""More patients than there are: generators, and how faithful, useful and private their samples are."""
