"""Exported models in use: lists, neighbours, reasons, an HTTP service and its page, without PyTorch.

This package needs NumPy alone, and FastAPI with uvicorn for the service.  It imports nothing of
recbole_micro, which imports RecBole: a server holds the exported arrays and little else.
"""
