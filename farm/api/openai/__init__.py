"""OpenAI's dialect: its clients speak with the farm unchanged.

speech.py    /v1/audio/speech, /v1/audio/voices, /v1/models
files.py     /v1/files: uploads, and what batches made
batches.py   /v1/batches, of /v1/audio/speech
requests.py  a batch's lines as OpenAI's clients write them
results.py   a batch's output and error lines, and each line's audio
"""
