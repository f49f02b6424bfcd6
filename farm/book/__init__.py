"""Books and what belongs to them: M4B, subtitles, the times of words."""
