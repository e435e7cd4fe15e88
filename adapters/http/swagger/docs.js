// Shows the OpenAPI document of this origin. Nothing is loaded from elsewhere, and nothing is sent to a validator.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
