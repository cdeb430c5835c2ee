"""The HTTP driver: public API (8082) and private server (8083), on Litestar and uvicorn."""
