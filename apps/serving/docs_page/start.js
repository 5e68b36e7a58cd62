// Shows openapi.json, which stands beside this page, also behind a proxy's prefix. Swagger UI would send the document of
// an address that is not local to a validator on the internet.

SwaggerUIBundle({ url: "openapi.json", dom_id: "#operations", deepLinking: true, validatorUrl: null });
