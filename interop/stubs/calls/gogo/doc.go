// Package gogo calls the services that were generated for gogo messages.
package gogo
