// SPDX-License-Identifier: Apache-2.0

package standin

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// NewDevicesCommand returns a device plugin for the kubelet of this machine: it offers COUNT devices of nvidia.com/gpu
// and runs until it is ended. It knows nothing of GPUs: a container gets the CDI names nvidia.com/gpu=0 and so on, for a
// containerd that reads CDI, and NVIDIA_VISIBLE_DEVICES for the NVIDIA runtime.
func NewDevicesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stand-in-devices COUNT", Args: cobra.ExactArgs(1), SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			count, err := strconv.Atoi(args[0])
			if err != nil {
				return err
			}
			return serveDevices(cmd.Context(), count)
		},
	}
}

// devices is a device plugin of that many devices.
type devices struct {
	api.UnimplementedDevicePluginServer
	count int
}

func serveDevices(ctx context.Context, count int) error {
	socket := filepath.Join(api.DevicePluginPath, "stand-in.sock")
	if err := os.RemoveAll(socket); err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, &devices{count: count})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	conn, err := grpc.NewClient("unix://"+api.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = api.NewRegistrationClient(conn).Register(ctx, &api.RegisterRequest{
		Version: api.Version, Endpoint: filepath.Base(socket), ResourceName: resourceGPU, Options: &api.DevicePluginOptions{},
	})
	if err != nil {
		return err
	}
	fmt.Printf("offering %d %s\n", count, resourceGPU)
	return <-served
}

func (d *devices) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (d *devices) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	all := &api.ListAndWatchResponse{}
	for i := range d.count {
		all.Devices = append(all.Devices, &api.Device{ID: strconv.Itoa(i), Health: api.Healthy})
	}
	if err := stream.Send(all); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (d *devices) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	answer := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		given := &api.ContainerAllocateResponse{
			Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")},
		}
		for _, id := range container.DevicesIds {
			given.CdiDevices = append(given.CdiDevices, &api.CDIDevice{Name: resourceGPU + "=" + id})
		}
		answer.ContainerResponses = append(answer.ContainerResponses, given)
	}
	return answer, nil
}
