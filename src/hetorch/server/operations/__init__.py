"""The operations of the service, a file for each noun: what its OpenAPI document is made from."""
