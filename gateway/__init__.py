"""HTTP for those who do not speak Temporal: jobs, their events, and the API of a microservice that many start from."""
