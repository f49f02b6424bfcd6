"""Azure's dialect: batch synthesis, so that its clients need another address and key only.

syntheses.py  `/texttospeech/batchsyntheses` and `/texttospeech/operations`
requests.py   what a client asks for, and the job that it becomes
formats.py    audio formats by Azure's names
records.py    what it is shown
"""
