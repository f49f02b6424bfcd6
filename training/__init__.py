"""How the default voice was made: flite's `slt` distilled into a small neural pair."""
