"""The job service: an API in three dialects (the farm's own, OpenAI's, Azure's), and a web page.

    create.py     the application: its routes, what it holds
    callers.py    who asks: API keys, scopes, rate limits
    problems.py   the error tree as problem documents
    service.py    what all routes work with

Every route is thin: it reads a request, calls what the commands call, and writes an answer.
"""
