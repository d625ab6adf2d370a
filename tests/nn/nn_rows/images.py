"""Rows of the layers of images: convolution, pooling, resizing, padding."""

import references as r


def conv(padding_mode="zeros", sides=(), **settings):
    """The formula of a convolution; `sides`: what is padded first in another mode."""

    def formula(x, weight, bias=None):
        if padding_mode != "zeros":
            x = r.pad(x, sides, padding_mode)
        return r.conv2d(x, weight, bias, **settings)

    return formula


def transposed(**settings):
    return lambda x, weight, bias=None: r.conv_transpose2d(x, weight, bias, **settings)


CONVOLUTIONS = {
    "Conv1d": (lambda nn: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2),
               conv(stride=2, padding=1, groups=2), (2, 4, 7)),
    "Conv1d same": (lambda nn: nn.Conv1d(2, 3, 3, padding="same", dilation=2),
                    conv(padding="same", dilation=2), (2, 2, 7)),
    "Conv1d circular": (lambda nn: nn.Conv1d(2, 3, 3, padding=2, padding_mode="circular"),
                        conv("circular", (2, 2)), (2, 7)),
    "Conv2d": (lambda nn: nn.Conv2d(3, 4, 3), r.conv2d, (2, 3, 5, 6)),
    "Conv2d settings": (
        lambda nn: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2, bias=False),
        conv(stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), (2, 4, 5, 6)),
    "Conv2d valid": (lambda nn: nn.Conv2d(3, 4, 3, padding="valid"), conv(padding="valid"),
                     (3, 5, 6)),
    "Conv2d reflect": (lambda nn: nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="reflect"),
                       conv("reflect", (2, 2, 1, 1)), (2, 2, 5, 6)),
    "Conv2d replicate same": (
        lambda nn: nn.Conv2d(2, 3, (3, 5), padding="same", padding_mode="replicate"),
        conv("replicate", (2, 2, 1, 1)), (2, 2, 5, 6)),
    "Conv3d": (lambda nn: nn.Conv3d(2, 3, 2, padding=1), conv(padding=1), (2, 2, 3, 2, 4)),
    "ConvTranspose1d": (lambda nn: nn.ConvTranspose1d(4, 2, 3, 2, 1, 1, groups=2),
                        transposed(stride=2, padding=1, output_padding=1, groups=2), (2, 4, 5)),
    "ConvTranspose2d": (
        lambda nn: nn.ConvTranspose2d(4, 6, 3, (2, 1), 1, (1, 0), 2, True, (1, 2)),
        transposed(stride=(2, 1), padding=1, output_padding=(1, 0), groups=2, dilation=(1, 2)),
        (2, 4, 4, 3)),
    "ConvTranspose3d": (lambda nn: nn.ConvTranspose3d(2, 3, 2, 2, bias=False),
                        transposed(stride=2), (2, 2, 2, 3)),
    "Unfold": (lambda nn: nn.Unfold((2, 3), 1, 1, 2), lambda x: r.unfold(x, (2, 3), 1, 1, 2),
               (2, 3, 5, 6)),
    "Fold": (lambda nn: nn.Fold((4, 5), (2, 3), stride=(2, 1)),
             lambda x: r.fold(x, (4, 5), (2, 3), (2, 1)), (2, 12, 6)),
    "LazyConv1d": (lambda nn: nn.LazyConv1d(3, 2), r.conv1d, (2, 4, 5)),
    "LazyConv2d": (lambda nn: nn.LazyConv2d(4, 3, groups=2), conv(groups=2), (2, 4, 5, 5)),
    "LazyConv3d": (lambda nn: nn.LazyConv3d(2, 2, bias=False), r.conv3d, (1, 2, 3, 3, 3)),
    "LazyConvTranspose1d": (lambda nn: nn.LazyConvTranspose1d(3, 2, 2), transposed(stride=2),
                            (2, 4, 5)),
    "LazyConvTranspose2d": (lambda nn: nn.LazyConvTranspose2d(4, 3, groups=2),
                            transposed(groups=2), (2, 4, 5, 5)),
    "LazyConvTranspose3d": (lambda nn: nn.LazyConvTranspose3d(2, 2), r.conv_transpose3d,
                            (1, 2, 2, 2, 2)),
}  # fmt: skip

POOLING = {
    "MaxPool1d": (lambda nn: nn.MaxPool1d(3, 2, padding=1), lambda x: r.max_pool1d(x, 3, 2, 1),
                  (2, 3, 7)),
    "MaxPool2d": (lambda nn: nn.MaxPool2d(2), lambda x: r.max_pool2d(x, 2), (2, 3, 6, 5)),
    "MaxPool2d settings": (
        lambda nn: nn.MaxPool2d((2, 3), (1, 2), (1, 0), (2, 1), ceil_mode=True),
        lambda x: r.max_pool2d(x, (2, 3), (1, 2), (1, 0), (2, 1), True), (2, 3, 6, 6)),
    "MaxPool3d": (lambda nn: nn.MaxPool3d(2, stride=1), lambda x: r.max_pool3d(x, 2, 1),
                  (2, 2, 3, 2, 3)),
    "AvgPool1d": (lambda nn: nn.AvgPool1d(3, 2, 1, True, False),
                  lambda x: r.avg_pool1d(x, 3, 2, 1, True, False), (2, 3, 6)),
    "AvgPool2d": (lambda nn: nn.AvgPool2d(2), lambda x: r.avg_pool2d(x, 2), (3, 4, 6)),
    "AvgPool2d settings": (lambda nn: nn.AvgPool2d(3, (2, 1), 1, True),
                           lambda x: r.avg_pool2d(x, 3, (2, 1), 1, True), (2, 3, 6, 5)),
    "AvgPool2d divisor": (lambda nn: nn.AvgPool2d(2, divisor_override=3),
                          lambda x: r.avg_pool2d(x, 2, divisor_override=3), (2, 3, 4, 4)),
    "AvgPool3d": (lambda nn: nn.AvgPool3d(2, padding=1), lambda x: r.avg_pool3d(x, 2, None, 1),
                  (1, 2, 3, 2, 3)),
    "AdaptiveAvgPool1d": (lambda nn: nn.AdaptiveAvgPool1d(3),
                          lambda x: r.adaptive_avg_pool1d(x, 3), (2, 3, 7)),
    "AdaptiveAvgPool2d": (lambda nn: nn.AdaptiveAvgPool2d((3, None)),
                          lambda x: r.adaptive_avg_pool2d(x, (3, None)), (2, 3, 7, 2)),
    "AdaptiveAvgPool3d": (lambda nn: nn.AdaptiveAvgPool3d(2),
                          lambda x: r.adaptive_avg_pool3d(x, 2), (2, 1, 3, 2, 4)),
    "AdaptiveMaxPool1d": (lambda nn: nn.AdaptiveMaxPool1d(3),
                          lambda x: r.adaptive_max_pool1d(x, 3), (2, 3, 7)),
    "AdaptiveMaxPool2d": (lambda nn: nn.AdaptiveMaxPool2d((3, None)),
                          lambda x: r.adaptive_max_pool2d(x, (3, None)), (3, 7, 2)),
    "AdaptiveMaxPool3d": (lambda nn: nn.AdaptiveMaxPool3d(2),
                          lambda x: r.adaptive_max_pool3d(x, 2), (2, 1, 3, 2, 4)),
    "LPPool1d": (lambda nn: nn.LPPool1d(2, 3, 1), lambda x: r.lp_pool1d(x, 2, 3, 1), (2, 3, 6)),
    "LPPool2d": (lambda nn: nn.LPPool2d(2, (2, 3)), lambda x: r.lp_pool2d(x, 2, (2, 3)),
                 (2, 3, 4, 6)),
    "LPPool3d": (lambda nn: nn.LPPool3d(2, 2, ceil_mode=True),
                 lambda x: r.lp_pool3d(x, 2, 2, ceil_mode=True), (1, 2, 3, 2, 2)),
}  # fmt: skip


def resized(**settings):
    return lambda x: r.interpolate(x, **settings)


RESIZING = {
    "Upsample": (lambda nn: nn.Upsample(scale_factor=2), resized(scale_factor=2), (2, 3, 4)),
    "Upsample factors": (lambda nn: nn.Upsample(scale_factor=(2, 1.5)),
                         resized(scale_factor=(2, 1.5)), (2, 3, 4, 4)),
    "Upsample size": (lambda nn: nn.Upsample((5, 3), mode="bilinear", align_corners=True),
                      resized(size=(5, 3), mode="bilinear", align_corners=True), (2, 3, 4, 4)),
    "Upsample trilinear": (
        lambda nn: nn.Upsample(scale_factor=1.6, mode="trilinear", recompute_scale_factor=True),
        resized(scale_factor=1.6, mode="trilinear", recompute_scale_factor=True),
        (1, 2, 3, 2, 3)),
    "UpsamplingNearest2d": (lambda nn: nn.UpsamplingNearest2d(scale_factor=3),
                            resized(scale_factor=3), (2, 3, 2, 4)),
    "UpsamplingBilinear2d": (lambda nn: nn.UpsamplingBilinear2d((3, 7)),
                             resized(size=(3, 7), mode="bilinear", align_corners=True),
                             (2, 3, 2, 4)),
    "PixelShuffle": (lambda nn: nn.PixelShuffle(2), lambda x: r.pixel_shuffle(x, 2),
                     (2, 8, 2, 3)),
    "PixelUnshuffle": (lambda nn: nn.PixelUnshuffle(2), lambda x: r.pixel_unshuffle(x, 2),
                       (3, 2, 4, 6)),
    "ChannelShuffle": (lambda nn: nn.ChannelShuffle(3), lambda x: r.channel_shuffle(x, 3),
                       (2, 6, 2, 3)),
}  # fmt: skip


def padded(*sides, mode="constant", value=0.0):
    return lambda x: r.pad(x, sides, mode, value)


LINE, IMAGE, CUBE = (2, 3, 4), (2, 3, 4, 4), (1, 2, 2, 3, 2)
PADDING = {
    "ZeroPad1d": (lambda nn: nn.ZeroPad1d(2), padded(2, 2), LINE),
    "ZeroPad2d": (lambda nn: nn.ZeroPad2d((1, -1, 0, 2)), padded(1, -1, 0, 2), IMAGE),
    "ZeroPad3d": (lambda nn: nn.ZeroPad3d(1), padded(*(1,) * 6), CUBE),
    "ConstantPad1d": (lambda nn: nn.ConstantPad1d((1, 2), 3.5), padded(1, 2, value=3.5), (3, 4)),
    "ConstantPad2d": (lambda nn: nn.ConstantPad2d(1, -1.5), padded(*(1,) * 4, value=-1.5), IMAGE),
    "ConstantPad3d": (lambda nn: nn.ConstantPad3d(1, 0.5), padded(*(1,) * 6, value=0.5), CUBE),
    "ReflectionPad1d": (lambda nn: nn.ReflectionPad1d(2), padded(2, 2, mode="reflect"), LINE),
    "ReflectionPad2d": (lambda nn: nn.ReflectionPad2d((1, 2, 3, 0)),
                        padded(1, 2, 3, 0, mode="reflect"), IMAGE),
    "ReflectionPad3d": (lambda nn: nn.ReflectionPad3d(1), padded(*(1,) * 6, mode="reflect"), CUBE),
    "ReplicationPad1d": (lambda nn: nn.ReplicationPad1d(2), padded(2, 2, mode="replicate"),
                         (3, 4)),
    "ReplicationPad2d": (lambda nn: nn.ReplicationPad2d((1, 2, 3, 0)),
                         padded(1, 2, 3, 0, mode="replicate"), IMAGE),
    "ReplicationPad3d": (lambda nn: nn.ReplicationPad3d(1),
                         padded(*(1,) * 6, mode="replicate"), CUBE),
    "CircularPad1d": (lambda nn: nn.CircularPad1d(2), padded(2, 2, mode="circular"), LINE),
    "CircularPad2d": (lambda nn: nn.CircularPad2d((1, 2, 3, 0)),
                      padded(1, 2, 3, 0, mode="circular"), IMAGE),
    "CircularPad3d": (lambda nn: nn.CircularPad3d(1), padded(*(1,) * 6, mode="circular"), CUBE),
}  # fmt: skip
