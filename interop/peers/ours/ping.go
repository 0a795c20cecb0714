package main

// This file is of this module's peer alone: no other release has Ping.
func init() {
	scenarios = append(scenarios, scenario{"ping/unknown", "answered, connection alive", tryPing})
}

// tryPing pings a server of which nothing is known yet, and once more when it has answered a call.
func tryPing(s *session) (string, error) {
	ctx, cancel := scenarioPatience.context()
	defer cancel()
	if err := s.client.Ping(ctx); err != nil {
		return "", err
	}
	text := "answered, " + s.alive()
	return text, s.client.Ping(ctx)
}
