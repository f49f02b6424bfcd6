"""What the farm costs beside the bare engine, all in one run on one machine. See `scripts/bench`."""
