package transport_test

import _ "example.com/house/internal/helper" // by way of which it reaches a layer above
