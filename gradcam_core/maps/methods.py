"""The methods: each a pure function of (activation, gradient) to one map, computed inside the traced graph.

    activation  float32 (n, h, w, c): what the layer put out, A
    gradient    float32 (n, h, w, c): derivative of the score by it, g
    result      float32 (n, h, w): evidence, signed; `explain` keeps it as `raw` and shows its positive part

A new method is one function here, one line in ``FUNCTIONS``, and its name and a sentence in `settings.METHODS`.
"""

from collections.abc import Callable

import tensorflow as tf

Method = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def grad_cam(activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    r"""Grad-CAM: channels weighted by their mean gradient.

    :math:`\alpha_k = \frac{1}{hw} \sum_{ij} g^k_{ij}` and :math:`M_{ij} = \sum_k \alpha_k A^k_{ij}`; the ReLU of
    equation 2 is applied by `explain`.

    Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", ICCV 2017, equations 1 and 2.
    """
    return _weighted(activation, tf.reduce_mean(gradient, axis=(1, 2)))


def grad_cam_plus_plus(activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    r"""Grad-CAM++: positive gradients, weighted cell by cell, so that several objects of a class all count.

    :math:`\alpha^k_{ij} = \frac{(g^k_{ij})^2}{2 (g^k_{ij})^2 + (g^k_{ij})^3 \sum_{ab} A^k_{ab}}` (0 where the
    gradient or the denominator is 0), :math:`w_k = \sum_{ij} \alpha^k_{ij} \max(0, g^k_{ij})` and
    :math:`M_{ij} = \sum_k w_k A^k_{ij}`. The class score of the paper is :math:`Y = e^S`: its derivatives are
    :math:`e^S g, e^S g^2, e^S g^3`, and the factor :math:`e^S`, the same for all cells and layers, is left out.

    Source: Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional
    Networks", WACV 2018, equations 5 and 10. The authors' program also divides the alphas of each channel by
    their sum, which the paper does not.
    """
    total = tf.reduce_sum(activation, axis=(1, 2), keepdims=True)
    # Numerator and denominator share a factor of g squared, which would underflow in float32.
    alpha = tf.math.divide_no_nan(tf.cast(gradient != 0, tf.float32), 2 + gradient * total)
    return _weighted(activation, tf.reduce_sum(alpha * tf.nn.relu(gradient), axis=(1, 2)))


def x_grad_cam(activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    r"""XGrad-CAM: gradients averaged with the activations as weights, so that the maps sum up to the score.

    :math:`w_k = \sum_{ij} \frac{A^k_{ij}}{\sum_{ab} A^k_{ab}} g^k_{ij}` (0 where the channel sums to 0) and
    :math:`M_{ij} = \sum_k w_k A^k_{ij}`.

    Source: Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC 2020,
    section 3.
    """
    total = tf.reduce_sum(activation, axis=(1, 2))
    return _weighted(activation, tf.math.divide_no_nan(tf.reduce_sum(activation * gradient, axis=(1, 2)), total))


def layer_cam(activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    r"""LayerCAM: each cell weighted by its own positive gradient, which keeps the detail of shallow layers.

    :math:`M_{ij} = \sum_k \max(0, g^k_{ij}) A^k_{ij}`.

    Source: Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE Transactions
    on Image Processing 2021, equations 4 to 6.
    """
    return tf.reduce_sum(tf.nn.relu(gradient) * activation, axis=-1)


def hi_res_cam(activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    r"""HiResCAM: each cell weighted by its own gradient, so that nothing is marked that the network did not use.

    :math:`M_{ij} = \sum_k g^k_{ij} A^k_{ij}`.

    Source: Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
    networks", 2020, section 3.
    """
    return tf.reduce_sum(gradient * activation, axis=-1)


def eigen_cam(activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    r"""Eigen-CAM: the activations along their first principal direction. It is the same for every class.

    With the activations as a matrix :math:`A = U \Sigma V^T` of hw rows and c columns, :math:`M = A v_1`. The sign of
    :math:`v_1`, which the decomposition leaves open, is chosen so that the map goes with the sum of the channels:
    :math:`\langle M, A 1 \rangle \ge 0`.

    Source: Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020,
    section III.
    """
    return _first_component(activation)


def eigen_grad_cam(activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    r"""EigenGrad-CAM: Eigen-CAM of activation times gradient, which makes it depend on the class.

    With :math:`B = g \odot A` as a matrix of hw rows and c columns, :math:`M = B v_1`, where the sign of :math:`v_1` is
    chosen so that the map goes with the evidence: :math:`\langle M, B 1 \rangle \ge 0`, and :math:`B 1` is HiResCAM.

    Source: Gildenblat et al., "PyTorch library for CAM methods", 2021 (EigenGradCAM); the sign is ours.
    """
    return _first_component(gradient * activation)


def cam(activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    r"""CAM: channels weighted by the head's own weights for the class.

    :math:`M_{ij} = \sum_k w_k A^k_{ij}`. Where the layer is averaged and goes into one linear layer, every cell has the
    gradient :math:`w_k / hw`, so the sum of the gradient is the weight. `layers.cam_layers` says where that holds.

    Source: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, equation 2.
    """
    return _weighted(activation, tf.reduce_sum(gradient, axis=(1, 2)))


def _weighted(activation: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    return tf.einsum("nhwc,nc->nhw", activation, weight)


def _first_component(tensor: tf.Tensor) -> tf.Tensor:
    """float32 (n, h, w): the rows of the (hw, c) matrix along its first right singular vector, signed.

    The singular vector is an eigenvector of the smaller one of the two Gram matrices.
    """
    n, (height, width, channels) = tf.shape(tensor)[0], tensor.shape[1:]
    matrix = tf.reshape(tensor, (n, height * width, channels))
    largest = tf.reduce_max(tf.abs(matrix), axis=(1, 2), keepdims=True)
    matrix = tf.math.divide_no_nan(matrix, largest)  # squares of small gradients would underflow
    if channels <= height * width:
        _, vectors = tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_a=True))  # in ascending order
        component = tf.linalg.matvec(matrix, vectors[..., -1])
    else:
        values, vectors = tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_b=True))
        component = tf.sqrt(tf.nn.relu(values[..., -1:])) * vectors[..., -1]
    along = tf.reduce_sum(component * tf.reduce_sum(matrix, axis=-1), axis=-1, keepdims=True)
    component = tf.where(along < 0, -component, component) * largest[..., 0]
    return tf.reshape(component, (n, height, width))


FUNCTIONS: dict[str, Method] = {
    "gradcam": grad_cam,
    "gradcam++": grad_cam_plus_plus,
    "xgradcam": x_grad_cam,
    "layercam": layer_cam,
    "hirescam": hi_res_cam,
    "eigencam": eigen_cam,
    "eigengradcam": eigen_grad_cam,
    "cam": cam,
}
