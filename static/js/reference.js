// The start of Swagger UI, here and not in the page: the page may hold no script.
"use strict";

(() => {
  const place = document.getElementById("reference");
  SwaggerUIBundle({
    url: place.dataset.schema,
    domNode: place,
    deepLinking: true,
    docExpansion: "none",
    filter: true,
    // Nothing is asked of other servers.
    validatorUrl: null,
    persistAuthorization: false,
    presets: [SwaggerUIBundle.presets.apis],
    requestInterceptor(request) {
      // Whoever is signed in proves that they meant it; a key needs no proof.
      const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
      if (token) request.headers["X-CSRFToken"] = token[1];
      return request;
    },
  });
})();
