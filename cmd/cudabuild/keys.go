// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/sign"
)

// passwordVariable is cosign's own.
const passwordVariable = "COSIGN_PASSWORD"

// key is the private key that signs the evidence, nil if none does. It is read once: a pipe gives it no second time.
func (f *evidenceFlags) key() (*sign.Key, error) {
	if f.signKey == "" || f.read != nil {
		return f.read, nil
	}
	text, err := readPEM(f.signKey)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--sign-key: %w", err)}
	}
	encrypted := false
	f.read, err = sign.Load(text, func() ([]byte, error) {
		encrypted = true
		return password()
	})
	if err != nil {
		next := hintOf(err)
		if secret, set := os.LookupEnv(passwordVariable); encrypted && set && secret == "" {
			next = passwordVariable + " is set and empty: is that the password that the key was made with?"
		}
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--sign-key %s: %w", f.signKey, err), hint: next}
	}
	return f.read, nil
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
	text, err := readPEM(path)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--key: %w", err)}
	}
	key, err := sign.LoadPublic(text)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--key %s: %w", path, err), hint: hintOf(err)}
	}
	return &key, nil
}

// mostPEM bounds a key, in bytes.
const mostPEM = 1 << 20

// readPEM reads a key, from a pipe too: <(vault read ...) leaves no secret on disk.
func readPEM(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, mostPEM+1))
	if err == nil && len(text) > mostPEM {
		err = fmt.Errorf("%s has more than %d bytes: it is no key", path, mostPEM)
	}
	return text, err
}
