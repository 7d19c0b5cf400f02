package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// patience is how long anything may take that should happen at once.
const patience = 40 * time.Second

// eventually asks again until nothing is missing.
func eventually(ctx context.Context, what string, missing func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := missing()
		if err == nil {
			return nil
		}
		var ended *hasEnded
		if errors.As(err, &ended) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s: %w", what, patience, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
