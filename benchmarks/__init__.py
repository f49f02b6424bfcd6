"""What the farm costs beside the bare engine, all in one run. See `scripts/bench`."""
