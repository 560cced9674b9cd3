// SPDX-License-Identifier: Apache-2.0
//
// nvjpeg decodes a picture that stands here, and one that it has encoded itself, and compares with what the pictures were made from.
//   nvcc -O3 -cudart static -I.. -o nvjpeg nvjpeg.cu -lnvjpeg

#include <nvjpeg.h>

#include <algorithm>
#include <cmath>

#include "sample.h"

enum { kSmall = 16, kLarge = 160, kQuality = 95 };

// A colour of the picture, which is a slope: of red to the right, of green downwards, of blue back. scale 1 for kSmall.
static int colour(int x, int y, int channel, double scale) {
    return (int)(channel == 0 ? 40 + 10 * x / scale : channel == 1 ? 40 + 10 * y / scale : 200 - 5 * (x + y) / scale);
}

// It, 16 x 16, baseline, one quantisation table of twos. djpeg of libjpeg-turbo is at most 2 off the colours above.
static const unsigned char kPicture[] = {
    0xff, 0xd8, 0xff, 0xdb, 0x00, 0x43, 0x00, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02,
    0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02,
    0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02,
    0x02, 0x02, 0x02, 0x02, 0x02, 0xff, 0xc0, 0x00, 0x11, 0x08, 0x00, 0x10, 0x00, 0x10, 0x03, 0x01, 0x11, 0x00, 0x02, 0x11, 0x00, 0x03,
    0x11, 0x00, 0xff, 0xc4, 0x00, 0x33, 0x00, 0x01, 0x01, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x08, 0x07, 0x05, 0x06, 0x09, 0x10, 0x00, 0x01, 0x03, 0x05, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x06, 0x00, 0x23, 0x33, 0x32, 0x41, 0x42, 0x51, 0x52, 0x05, 0xff, 0xda, 0x00, 0x0c, 0x03, 0x01, 0x00, 0x02, 0x00, 0x03, 0x00,
    0x00, 0x3f, 0x00, 0x2a, 0x79, 0x21, 0xf4, 0xb5, 0xac, 0x52, 0xd0, 0x98, 0xd6, 0x47, 0xb7, 0x92, 0xc1, 0x07, 0x11, 0x44, 0xe7, 0x37,
    0x54, 0xdf, 0x24, 0x3e, 0x96, 0xb5, 0x8a, 0x3c, 0x93, 0x1a, 0xc8, 0xf6, 0xf2, 0x4a, 0xd0, 0xe2, 0x28, 0x9c, 0xe6, 0xea, 0xbb, 0xe4,
    0x87, 0xd2, 0xd6, 0xb1, 0x5a, 0x59, 0x31, 0xac, 0x8f, 0x6f, 0x25, 0xcd, 0x90, 0xe2, 0x28, 0x9c, 0xe6, 0xea, 0x9b, 0xe4, 0x87, 0xd2,
    0xd6, 0xb1, 0x47, 0x92, 0x63, 0x59, 0x1e, 0xde, 0x49, 0x5a, 0x1c, 0x45, 0x13, 0x9c, 0xdd, 0x7f, 0xff, 0xd9};

struct Jpeg {
    nvjpegHandle_t handle;
    nvjpegJpegState_t state;
};

// The largest difference of a colour.
static double decodingError(const Jpeg& jpeg, const unsigned char* data, size_t length, int side) {
    int components = 0, widths[NVJPEG_MAX_COMPONENT], heights[NVJPEG_MAX_COMPONENT];
    nvjpegChromaSubsampling_t subsampling;
    CHECK(nvjpegGetImageInfo(jpeg.handle, data, length, &components, &subsampling, widths, heights));
    if (components != 3 || widths[0] != side || heights[0] != side) throw Failure(-1, "nvjpegGetImageInfo tells another size");
    Array<unsigned char> pixels(3 * side * side);
    nvjpegImage_t image = nvjpegImage_t();
    image.channel[0] = pixels.gpu, image.pitch[0] = 3 * side;
    CHECK(nvjpegDecode(jpeg.handle, jpeg.state, data, length, NVJPEG_OUTPUT_RGBI, &image, 0));
    CHECK(cudaDeviceSynchronize());
    pixels.fetch();
    double worst = 0;
    for (int i = 0; i < 3 * side * side; ++i)
        worst = worse(worst, std::abs(pixels[i] - colour(i / 3 % side, i / 3 / side, i % 3, (double)side / kSmall)));
    return worst;
}

static std::vector<unsigned char> encoded(const Jpeg& jpeg, int side) {
    Array<unsigned char> pixels(3 * side * side);
    for (int i = 0; i < 3 * side * side; ++i) pixels[i] = colour(i / 3 % side, i / 3 / side, i % 3, (double)side / kSmall);
    pixels.send();
    nvjpegImage_t image = nvjpegImage_t();
    image.channel[0] = pixels.gpu, image.pitch[0] = 3 * side;
    nvjpegEncoderState_t state;
    nvjpegEncoderParams_t parameters;
    CHECK(nvjpegEncoderStateCreate(jpeg.handle, &state, 0));
    CHECK(nvjpegEncoderParamsCreate(jpeg.handle, &parameters, 0));
    CHECK(nvjpegEncoderParamsSetQuality(parameters, kQuality, 0));
    CHECK(nvjpegEncoderParamsSetSamplingFactors(parameters, NVJPEG_CSS_444, 0));
    CHECK(nvjpegEncodeImage(jpeg.handle, state, parameters, &image, NVJPEG_INPUT_RGBI, side, side, 0));
    size_t length = 0;
    CHECK(nvjpegEncodeRetrieveBitstream(jpeg.handle, state, 0, &length, 0));
    std::vector<unsigned char> out(length);
    CHECK(nvjpegEncodeRetrieveBitstream(jpeg.handle, state, &out[0], &length, 0));
    CHECK(cudaDeviceSynchronize());
    CHECK(nvjpegEncoderParamsDestroy(parameters));
    CHECK(nvjpegEncoderStateDestroy(state));
    out.resize(length);
    return out;
}

static void run(Sample& s) {
    LIBRARY(s, "libnvjpeg", NVJPEG, nvjpegGetProperty);
    CHECK(cudaFree(0));  // says what is missing, if that is a driver or a device; the library would only say that something is
    Jpeg jpeg;
    CHECK(nvjpegCreateSimple(&jpeg.handle));
    CHECK(nvjpegJpegStateCreate(jpeg.handle, &jpeg.state));
    s.check("decode", decodingError(jpeg, kPicture, sizeof kPicture, kSmall), 4);
    const std::vector<unsigned char> own = encoded(jpeg, kLarge);
    s.check("encode and decode", decodingError(jpeg, &own[0], own.size(), kLarge), 8);
    CHECK(nvjpegJpegStateDestroy(jpeg.state));
    CHECK(nvjpegDestroy(jpeg.handle));
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "nvjpeg", run); }
