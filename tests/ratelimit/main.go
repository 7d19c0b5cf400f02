// Envoy's rate limit service for the end-to-end tests, with a Redis in the memory of the same process. The settings are the
// service's own, by its environment variables.
package main

import (
	"log"
	"os"

	"github.com/alicebob/miniredis/v2"
	"github.com/envoyproxy/ratelimit/src/service_cmd/runner"
	"github.com/envoyproxy/ratelimit/src/settings"
)

func main() {
	redis, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	defer redis.Close()
	for name, value := range map[string]string{"REDIS_SOCKET_TYPE": "tcp", "REDIS_URL": redis.Addr()} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	service := runner.NewRunner(settings.NewSettings())
	service.Run()
}
