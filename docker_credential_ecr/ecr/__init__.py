"""What is said to AWS: a registry and a rule in, an authorization token out.

Four rooms that change for different reasons, the first above the others: ``request`` asks (for less
than a token: ``inquiry``), ``session`` loads as much of AWS's library as that takes, ``sources``
knows what chooses an identity, ``explanation`` puts the library's errors into our words, and
``refusals`` what AWS says. Nothing here touches the cache of tokens.
"""
