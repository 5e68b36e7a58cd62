"""HTTP on top of the runtime: middleware, bodies, and the endpoints that every service has."""
