"""What the two YourTTS engines share: spelling, languages, speakers, references.

A zero-shot voice speaks with a d-vector (a speaker embedding): that of one of the checkpoint's own
speakers, or what a speaker encoder makes of a reference recording. `checkpoint` and `passes` need
torch and coqui-tts; the other modules do not.
"""
