"""The two halves of a FastSpeech 2 voice: symbols to mel spectrogram, mel spectrogram to signal.

reading    text -> symbols and ids, by the map or the config that lies beside the model
acoustic   ids -> mel frames, and how many of them each id has; `forms`: of each exporter
controls   durations, pitch and energy of graphs that keep them to themselves
vocoders   mel frames -> samples
inverse    magnitude and phase -> samples, for vocoders that stop there
mel        what the mel's numbers mean, and whether both halves mean the same
"""
