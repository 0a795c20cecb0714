// Package helper is of no layer, and uses the highest.
package helper

import _ "example.com/house"
