"""The pages in a real browser, on a real server with its worker and a sandbox tenant."""
