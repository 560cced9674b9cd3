// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/sign"
)

// passwordVariable is cosign's own.
const passwordVariable = "COSIGN_PASSWORD"

// readKey reads the private key in a file; "" is none.
func readKey(path string) (*sign.Key, error) {
	if path == "" {
		return nil, nil
	}
	text, err := files.Read(path)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--sign-key: %w", err)}
	}
	key, err := sign.Load(text, password)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--sign-key %s: %w", path, err), hint: hintOf(err)}
	}
	return key, nil
}

// password is that of a key that cosign has encrypted. An empty one is a password, too.
func password() ([]byte, error) {
	secret, set := os.LookupEnv(passwordVariable)
	if !set {
		return nil, hint.New("the key is encrypted, and "+passwordVariable+" is not set", "set "+passwordVariable+" to the password that the key was made with")
	}
	return []byte(secret), nil
}

// readPublicKey reads the public key in a file; "" is none.
func readPublicKey(path string) (*sign.Public, error) {
	if path == "" {
		return nil, nil
	}
	text, err := files.Read(path)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--key: %w", err)}
	}
	key, err := sign.LoadPublic(text)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--key %s: %w", path, err), hint: hintOf(err)}
	}
	return &key, nil
}
